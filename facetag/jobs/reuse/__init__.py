"""Give images results that are known: of earlier jobs, of the same job, of jobs at work now."""
