-- Stripe's signature: HMAC-SHA-256 over the time, a dot and the body, within five minutes.
local ffi = require 'ffi'
local crypto = ffi.C
ffi.cdef [[
  const void *EVP_sha256(void);
  unsigned char *HMAC(const void *md, const void *key, int key_len,
                      const unsigned char *d, size_t n, unsigned char *out, unsigned int *out_len);
  int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]
local secret = os.getenv('STRIPE_WEBHOOK_SECRET')
local window_s = 300

local function answer(status)
  ngx.status = status
  ngx.header['Content-Length'] = 0
  return ngx.exit(status)
end

return function()
  local header = ngx.var.http_stripe_signature or ''
  local time, given = header:match('t=(%d+)'), header:match('v1=(%x+)')
  if not time or not given or #given ~= 64 then
    return answer(400)
  end
  ngx.req.read_body()
  local message = time .. '.' .. (ngx.req.get_body_data() or '')
  local mac = ffi.new('unsigned char[32]')
  crypto.HMAC(crypto.EVP_sha256(), secret, #secret, message, #message, mac, nil)
  local bytes = given:gsub('..', function(hex) return string.char(tonumber(hex, 16)) end)
  local fresh = math.abs(ngx.time() - tonumber(time)) <= window_s
  local genuine = crypto.CRYPTO_memcmp(mac, bytes, 32) == 0
  return answer(fresh and genuine and 200 or 400)
end
