"""What is installed, and how. Standard library only: it runs before anything is."""
