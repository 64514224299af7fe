"""Programs that measure the network by itself: its precisions and its confidences."""
