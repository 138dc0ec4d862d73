"""What others' programs saved, brought into the form of a raw folder."""
