declare const brand: unique symbol;

/** A type that only its parser can make. What is branded may be branded again: it is both then. */
export type Brand<T, Name extends string> = T & { readonly [brand]: { readonly [K in Name]: true } };
