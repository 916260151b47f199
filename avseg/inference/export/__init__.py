"""Writers of results: files of a folder, the overlay video, COCO and others. They work on records, not on `Result`."""
