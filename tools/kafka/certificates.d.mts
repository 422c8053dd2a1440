export function makeCertificates(directory: string, host: string): { ca: string; keystore: string; password: string };
