// Keeps 1 MiB more every second, up to 1 GiB. Standard input closes when the parent is gone, however it died.
const MIB = 1024 * 1024;
const kept: Buffer[] = [];

const timer = setInterval(() => {
  kept.push(Buffer.alloc(MIB, kept.length % 255));
  if (kept.length === 1024) clearInterval(timer);
}, 1000);

process.stdin.on('end', () => process.exit(0)).resume();
