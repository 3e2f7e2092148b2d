package import WeirCore

// What the core is told of the configuration.
extension Machine.Configuration {
    /// - Parameter writersMax: connections at most, where the configuration leaves them to be
    ///   derived.
    package init(_ configuration: Configuration, writersMax: Int) {
        self.init()
        self.writersMax = configuration.database.connections ?? writersMax
        admission.recordsMax = configuration.queue.recordsMax
        admission.bytesMax = configuration.queue.bytesMax
        batch.recordsMax = configuration.batch.recordsMax
        batch.bytesMax = configuration.batch.bytesMax
        batch.lingerMax = configuration.batch.lingerMax
    }
}
