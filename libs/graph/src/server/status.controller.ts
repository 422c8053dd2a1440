import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { healthReport, type Health, type HealthReport, type Registry } from '@tidemark/service';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bearerOf, type Access } from './access.js';

export interface StatusSources {
  /** Every part of the process that says how it is, by name. */
  readonly health: Readonly<Record<string, () => Health>>;
  readonly metrics: Registry;
  readonly access: Access;
  /** True once the server takes no new work. */
  draining: boolean;
}

/** Injection token of StatusSources. */
export const STATUS_SOURCES = Symbol('StatusSources');

/** For those who run the server: is it alive, does it serve, how does it fare. */
@Controller()
export class StatusController {
  constructor(@Inject(STATUS_SOURCES) private readonly status: StatusSources) {}

  /** 200 while only a restart could not help; 503 otherwise. */
  @Get('health/live')
  live(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    const report = healthReport(this.status.health);
    sendJson(response, report.live ? 200 : 503, this.visible(report, request));
  }

  /** 200 while queries are answered from present data; 503 before, and while stopping. */
  @Get('health/ready')
  ready(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    const report = healthReport(this.status.health);
    const ready = report.ready && !this.status.draining;
    sendJson(response, ready ? 200 : 503, this.visible({ ...report, ready }, request));
  }

  /** Prometheus text. */
  @Get('metrics')
  async metrics(@Res() response: ServerResponse): Promise<void> {
    const text = await this.status.metrics.metrics();
    response.writeHead(200, { 'content-type': this.status.metrics.contentType });
    response.end(text);
  }

  /** A stranger on the network is told the outcome, and nothing of the parts. */
  private visible(report: HealthReport, request: IncomingMessage): Partial<HealthReport> {
    const { access } = this.status;
    if (!access.tokenForAll || access.isAuthorized(bearerOf(request))) return report;
    return { live: report.live, ready: report.ready };
  }
}

function sendJson(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
