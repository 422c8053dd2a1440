import { DEMO_PROFILE, PRODUCTION_PROFILE, type DetectorProfile } from '@tidemark/leak';
import { z } from 'zod';

/** Settings of the detector that a user may set, each with its default. */
export const detectSettings = z.object({
  profile: z.enum(['production', 'demo'], 'must be one of production, demo').default('production'),
});

export function detectProfile({ profile }: z.output<typeof detectSettings>): DetectorProfile {
  return profile === 'demo' ? DEMO_PROFILE : PRODUCTION_PROFILE;
}
