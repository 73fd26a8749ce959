"""What the triggers share: settings, runs, Azure ML, dataset preparation, idle policy, notifications."""
