"""Label faces in image collections by apparent age, gender and race, in batches."""
