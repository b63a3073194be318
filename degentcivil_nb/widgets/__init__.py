"""What is seen: figures, panels and the dashboard, fed by one refresher."""
