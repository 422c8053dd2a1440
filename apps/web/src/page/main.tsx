import { render } from 'preact';
import { App } from './app.js';
import { listenForAlerts } from './api/alerts.js';
import { followAddress } from './place.js';

followAddress();
listenForAlerts();
render(<App />, document.getElementById('app')!);
