/// How long a message ID that has been committed is remembered in the database.
package enum ReplaySetting: Equatable, Sendable {
    /// Not at all: only what is in flight is known, and no table of the gateway's own is needed.
    case off
    /// For this time at least and for twice as long at most: in generations, of which the older one
    /// is forgotten as a whole.
    case on(window: Duration)

    package var window: Duration? {
        if case .on(let window) = self { window } else { nil }
    }
}
