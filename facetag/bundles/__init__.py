"""Keep bundles in folders and object storage, and record which one is the champion."""
