const express = require('express');
const ms = require('ms');

const port = Number(process.env.PORT || 3000);
const app = express();

app.get('/', (_request, response) => {
  response.type('text').send(`Hello, world! Up for ${ms(Math.round(process.uptime() * 1000), { long: true })}.\n`);
});

const server = app.listen(port, () => console.log(`listening on port ${port}`));

// As the first process of a container, nothing ends us but ourselves.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.close(() => process.exit(0)));
