"""The skills that a workspace can see."""
