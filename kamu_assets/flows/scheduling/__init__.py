"""The scheduler: hears what happens, and starts flows whose time has come."""
