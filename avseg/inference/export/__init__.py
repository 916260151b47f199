"""Results in other forms: files of a folder, the overlay video, COCO. They know records, not `Result`."""
