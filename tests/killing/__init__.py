"""Every durable write and every request is a point, and a real process is killed there, once before and once after."""
