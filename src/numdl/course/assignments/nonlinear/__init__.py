"""Assignments of the lecture."""
