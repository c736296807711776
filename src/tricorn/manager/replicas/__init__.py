"""Engine processes: started, watched, ended."""
