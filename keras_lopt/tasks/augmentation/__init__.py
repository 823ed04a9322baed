"""What makes a task's problems more varied or harder.

variation.py is what differs between the problems of one task, inside one
compiled program. augment.py makes a harder task of a task, by wrappers around
its model (wrapper.py); image_changes.py is the wrapper that changes images.
"""
