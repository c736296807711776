"""One file an API family. A handler reads parse → call → respond."""
