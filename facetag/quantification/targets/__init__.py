"""Hold a collection against what somebody wants: bounds on shares, and a reference's shares."""
