"""The main job, end to end, through the front doors that real users have."""
