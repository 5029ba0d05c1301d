"""What a hook costs, measured as whole processes and told as a ratio to a floor in the same run."""
