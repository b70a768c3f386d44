"""What was asked of the node, is being asked, and what became of it. Answers are not kept, nor anything of them."""
