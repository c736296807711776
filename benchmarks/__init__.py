"""Tricorn beside other servers: same machine, same model, same load, taking turns."""
