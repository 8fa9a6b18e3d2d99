/** What of the Gateway API beyond its core is served, by the names that the API gives its features; sorted, as statuses have them. */
export const SUPPORTED_FEATURES: readonly string[] = ['Gateway', 'HTTPRoute', 'ReferenceGrant'];
