"""The comparison of netsession with its peers: see ../run.py."""
