"""How the tasks' gradients go together: measured, and brought into balance."""
