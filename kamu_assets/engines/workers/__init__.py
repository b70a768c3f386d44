"""Child processes that can be limited, killed and replaced."""
