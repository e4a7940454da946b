"""Pear Box Edge: a home box that shares files between peers, on the real Holepunch protocols."""
