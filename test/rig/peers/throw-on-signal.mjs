// Preloaded into a gate (`--import`), puts a bug into it: SIGUSR2 throws where nothing catches.
process.on("SIGUSR2", () => {
  throw new Error("a bug that the rig has put in");
});
