// Preloaded into a gate (`--import`), puts a bug into how it reads its configuration: the directive `user` throws.
process.getuid = () => {
  throw new Error("a bug that the rig has put in");
};
