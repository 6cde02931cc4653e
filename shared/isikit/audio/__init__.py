"""Audio as bytes: containers, G.711, resampling, MP3, levels, and decoding of untrusted files in a child process.

PCM everywhere is s16le. Only `resample`, `mp3` and the child of `probe` need PyAV (the audio layer); they import it
when first called.
"""
