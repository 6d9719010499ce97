"""What is done with an input where Python is needed.  Each module has ``run(data)``, which raises
where something is wrong, and ``seeds()``; both need neither a compiler nor a fuzzer."""
