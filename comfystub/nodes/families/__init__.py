"""What the nodes of each family of classes do, a module each, with a table by class name."""
