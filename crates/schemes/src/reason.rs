//! The codes of what went wrong: why verification failed, and why an authentic body is unreadable.

use std::fmt;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code used in the store, in `--json` and in logs.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The variant with this code.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }

        impl std::error::Error for $name {}
    };
}

reasons! {
    /// Why verification failed. For the operator alone: outside, all of them look the same.
    Rejection {
        /// A header that the scheme needs is absent.
        MissingHeader = "missing_header",
        /// A header that may occur once occurs again.
        RepeatedHeader = "repeated_header",
        /// A part of a header, a field of the body, of the form or of the query is absent.
        MissingField = "missing_field",
        /// A part of a header, a form field or a query parameter that may occur once occurs again.
        RepeatedField = "repeated_field",
        /// The signature is not written as the scheme writes it: prefix, encoding, length.
        MalformedSignature = "malformed_signature",
        /// More signatures than the scheme allows.
        TooManySignatures = "too_many_signatures",
        /// The signed time is not written as the scheme writes it.
        MalformedTimestamp = "malformed_timestamp",
        /// The signed time is in another unit: seconds for milliseconds, or the reverse.
        WrongTimeUnit = "wrong_time_unit",
        /// The signed time is further back than the window allows.
        TooOld = "too_old",
        /// The signed time is further ahead than the window allows.
        InFuture = "in_future",
        /// The scheme reads the body before it can verify, and the body cannot be read.
        MalformedBody = "malformed_body",
        /// A value stands inside of another, where the signature covers the outermost ones only.
        NestedValue = "nested_value",
        /// A field is not what the scheme demands: a pattern, or an equality of two values.
        FieldMismatch = "field_mismatch",
        /// The certificate's URL is not one of the provider's.
        CertificateUrl = "certificate_url",
        /// There is no certificate, or it cannot be read.
        CertificateUnreadable = "certificate_unreadable",
        /// The certificate does not lead to a trusted root, by signatures that count.
        CertificateUntrusted = "certificate_untrusted",
        /// The certificate, or one that vouches for it, is not valid at this time.
        CertificateExpired = "certificate_expired",
        /// The certificate is for another name.
        CertificateName = "certificate_name",
        /// The certificate is for another use.
        CertificateUse = "certificate_use",
        /// The certificate's key is too short, or not of the scheme's kind.
        CertificateKey = "certificate_key",
        /// No signature was made with any of the source's secrets.
        NoMatchingKey = "no_matching_key",
    }
}

reasons! {
    /// Why an authentic body is quarantined.
    Unreadable {
        /// The body is not Unicode text: not UTF-8, or half of a surrogate pair.
        NotUtf8 = "not_utf8",
        /// The body holds a NUL, raw or escaped.
        NulByte = "nul_byte",
        /// The body is not JSON (RFC 8259), or not the form that the profile says.
        NotJson = "not_json",
        /// A name occurs twice in one object, after escapes are resolved.
        DuplicateKey = "duplicate_key",
        /// Nested deeper than 64 levels.
        TooDeep = "too_deep",
        /// More values, or more events, than are read.
        TooManyItems = "too_many_items",
        /// No shape of the profile fits.
        UnknownShape = "unknown_shape",
        /// A field that the profile demands is absent.
        MissingField = "missing_field",
        /// A field is of another type than the profile says.
        WrongType = "wrong_type",
        /// Two fields that must agree do not.
        ConflictingFields = "conflicting_fields",
        /// A number that is none (`NaN`, `Infinity`), that no double holds (`1e400`), or an amount
        /// that is not a plain decimal.
        BadNumber = "bad_number",
        /// A field is longer than any real one.
        TooLong = "too_long",
        /// A field does not match its pattern.
        BadField = "bad_field",
    }
}
