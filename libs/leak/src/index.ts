export { DEMO_PROFILE, PRODUCTION_PROFILE, type DetectorProfile, type RingProfile } from './profile.js';
export { closeSeries, createSeries, observe, type Series } from './series.js';
export { seedSeries } from './seed.js';
export { reviveSeries, serializeSeries, type SeriesSnapshot } from './snapshot.js';
export { statusOf as leakStatus } from './status.js';
export {
  createServiceBook,
  serviceStatus,
  takeServiceTransition,
  type ServiceBook,
  type ServiceStatus,
} from './service-book.js';
export { reviveServiceBook, serializeServiceBook, type ServiceBookSnapshot } from './service-book-snapshot.js';
export type { EndCause, Growth, LeakStatus, SeriesInput, SeriesMinima, SeriesOrigin, Transition } from './types.js';
export { createSiteLedger, reviveSiteLedger } from './site/site-ledger.js';
export { SITE_PROFILE, type SiteProfile } from './site/site-profile.js';
export type { SiteLedger, SiteLedgerSnapshot, SiteObservation, SiteSnapshot, SiteVerdict } from './site/site-types.js';
