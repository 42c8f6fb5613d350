"""Pages of the course: how do they become a website that works from any folder, and how are they shown here?"""
