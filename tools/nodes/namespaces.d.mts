export function whyNoNodes(): string | undefined;
