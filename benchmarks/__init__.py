"""What gradreach costs, measured side by side with a training loop written by hand."""
