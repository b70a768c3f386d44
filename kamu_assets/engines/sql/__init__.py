"""What SQL may do, and how it fails."""
