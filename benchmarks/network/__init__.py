"""Programs that measure the network by itself: precisions, confidences, averaged weights."""
