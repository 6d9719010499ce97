"""netsession: Arrow columns."""

from netsession_peer import NetsessionColumns
from serve import serve

if __name__ == "__main__":
    serve(NetsessionColumns())
