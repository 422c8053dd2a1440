import { baseName, explainedShare, frameText, type ReportSite, type TraceReport } from './trace-report.js';

/** The report as one object for machines; the shape is written down in docs/cli.md. */
export function reportJson(report: TraceReport): object {
  const { totals } = report;
  const bySite = new Map(report.sites.map((site) => [site.figures.site, site]));
  return {
    process: { pid: report.pid, program: report.program, command: report.command, exit: report.end },
    mode: report.mode.toLowerCase(),
    means: report.means.toLowerCase(),
    sampleInterval: report.sampleInterval,
    startedAt: time(report.startedAt),
    endedAt: time(report.endedAt),
    totals: {
      allocations: totals.allocations,
      frees: totals.frees,
      allocatedBytes: totals.allocatedBytes,
      freedBytes: totals.freedBytes,
      liveBytes: totals.liveBytes,
      liveCount: totals.liveCount,
      issued: totals.issued,
      recorded: totals.recorded,
      cancelled: totals.cancelled,
      dropped: totals.dropped,
      ...(totals.standardError === null ? {} : { standardError: totals.standardError }),
    },
    anonymousBytes: report.memory?.anonymous ?? null,
    explained: explainedShare(report),
    sites: report.sites.map(siteJson),
    atRisk: report.sites
      .flatMap(({ survivors }) => survivors)
      .sort((a, b) => a.time - b.time)
      .map((survivor) => ({
        time: time(survivor.time),
        pid: report.pid,
        size: survivor.size,
        address: `0x${survivor.address.toString(16)}`,
        caller: frameText(bySite.get(survivor.site)?.frames[0]),
        site: bySite.get(survivor.site)?.id ?? null,
      })),
    atRiskTotal: report.survivorsTotal,
    warnings: report.warnings,
  };
}

function siteJson({ id, frames, truncated, figures, verdict }: ReportSite): object {
  return {
    id,
    frames: frames.map((frame) => ({
      function: frame.function,
      file: frame.file,
      line: frame.line,
      module: frame.module === null ? null : baseName(frame.module),
      path: frame.module,
      buildId: frame.buildId,
      offset: frame.offset,
      inlined: frame.inlined,
    })),
    truncated,
    allocations: figures.allocations,
    frees: figures.frees,
    allocatedBytes: figures.allocatedBytes,
    freedBytes: figures.freedBytes,
    liveBytes: figures.liveBytes,
    liveCount: figures.liveCount,
    ...(figures.liveVariance > 0 ? { standardError: { liveBytes: Math.sqrt(figures.liveVariance) } } : {}),
    firstAt: time(figures.firstAt),
    generations: verdict.generations,
    bytesPerHour: verdict.bytesPerHour,
    oldFreeRate: verdict.oldFreeRate,
    verdict: verdict.state,
    why: verdict.message,
  };
}

function time(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
