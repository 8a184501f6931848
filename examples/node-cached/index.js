const { createServer } = require('node:http');
const ms = require('ms');

const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end(`Hello from a cached build! Up for ${ms(Math.round(process.uptime() * 1000), { long: true })}.\n`);
});

server.listen(3000, () => console.log('listening on port 3000'));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.close(() => process.exit(0)));
