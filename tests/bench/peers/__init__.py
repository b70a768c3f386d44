"""What a user could take instead of a node, and what no node can beat. Nothing in here may use code of ours."""
